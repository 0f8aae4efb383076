"""What a card tells of a corpus turned into Croissant metadata, JSON-LD that catalogues and loaders read.

Croissant 1.1 (Benjelloun, Simperl et al. 2025, http://mlcommons.org/croissant/1.1): the store is one
resource, every dimension that arrays begin with a set of records, and every array a field of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from numerical.conditions import CONDITIONS
from numerical.corpus.card_facts import Facts, StoredArray, mean
from numerical.corpus.card_page import MEANING, asked, summary
from numerical.corpus.sampling import SPLITS

CROISSANT = "http://mlcommons.org/croissant/"
ZARR = "https://zarr-specs.readthedocs.io/en/latest/v3/core/index.html"
COUNT = "http://www.wikidata.org/entity/Q4049983"  # cardinality, as the specification's example has it

# The words of the specification's first appendix.
TERMS = """
    annotation arrayShape citeAs column containedIn equivalentProperty excludes extract field fileObject
    fileProperty fileSet format includes isArray isLiveDataset jsonPath key md5 parentField path readLines
    recordSet references regex repeated replace samplingRate sdVersion separator source subField transform
    unArchive
"""
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": CROISSANT,
    "rai": CROISSANT + "RAI/",
    "dct": "http://purl.org/dc/terms/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    **{term: f"cr:{term}" for term in TERMS.split()},
}

TYPES = {"text": "sc:Text"} | {
    f"{kind.lower()}{bits}": f"cr:{kind}{bits}"
    for kind, sizes in (("Int", (8, 16, 32, 64)), ("UInt", (8, 16, 32, 64)), ("Float", (16, 32, 64)))
    for bits in sizes
}


def croissant(found: Facts, *, licence: str, creator: str, url: str, citation: str) -> dict[str, Any]:
    """Return the metadata of a corpus, for a file in a folder inside its store.

    licence: its name at spdx.org, or its address. creator: who made the corpus. url: its page.
    """
    limb = found.settings.limb.replace("_", " ")
    return {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": CROISSANT + "1.1",
        "name": found.name,
        "description": summary(found),
        "license": licence if "://" in licence else f"https://spdx.org/licenses/{licence}.html",
        "url": url,
        "creator": {"@type": "sc:Organization", "name": creator},
        "datePublished": datetime.now(UTC).date().isoformat(),
        "version": found.version,
        "citeAs": citation,
        "keywords": ["electromyography", "motor unit action potential", "simulation", limb],
        "isLiveDataset": not found.whole,
        "distribution": list(_resources(found)),
        "recordSet": [*_listed(found), *_stored(found)],
    }


def _resources(found: Facts) -> Iterator[dict[str, Any]]:
    yield {
        "@type": "cr:FileObject",
        "@id": "store",
        "name": found.file,
        "description": "Zarr 3 group, a folder. Its sha256 is that of the array checksum, without zeros, as "
        "unsigned 64-bit little-endian integers.",
        "contentUrl": "../",
        "contentSize": f"{found.bytes} B",
        "encodingFormat": ZARR,
        "sha256": found.digest,
    }
    yield {
        "@type": "cr:FileSet",
        "@id": "files",
        "name": "files of the arrays",
        "containedIn": {"@id": "store"},
        "encodingFormat": ZARR,
        "includes": ["*/zarr.json", "*/c/**"],
    }


def _listed(found: Facts) -> Iterator[dict[str, Any]]:
    """Yield the sets of records that are written out: splits, muscles, and conditions with their ranges."""
    splits = [
        {"name": name, "index": index, "description": MEANING[name], "motor_units": found.split_units[name]}
        for index, name in enumerate(SPLITS)
    ]
    yield _written_out("splits", "sc:Enumeration", splits)
    muscles = [{"name": name, "index": index} for index, name in enumerate(found.settings.muscles)]
    yield _written_out("muscles", "sc:Enumeration", muscles)
    conditions = []
    for name in found.settings.condition_names:
        condition, values = CONDITIONS[name], found.samples[name]
        row: dict[str, str | float] = {"name": name, "unit": condition.unit, "level": condition.level}
        row |= {"description": condition.description, "asked_for": asked(found.settings, name)}
        if len(values):
            row |= {"lowest": float(values.min()), "highest": float(values.max()), "mean": mean(values)}
        conditions.append(row)
    yield _written_out("condition", None, conditions)


def _written_out(name: str, kind: str | None, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return a set of records with its data; rows have the same columns, the first of them the key."""
    types = {str: "sc:Text", int: "sc:Integer", float: "sc:Float"}
    fields = [
        {"@type": "cr:Field", "@id": f"{name}/{column}", "name": column, "dataType": types[type(value)]}
        for column, value in rows[0].items()
    ]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        **({"dataType": kind} if kind else {}),
        "key": {"@id": f"{name}/name"},
        "field": fields,
        "data": [{f"{name}/{column}": value for column, value in row.items()} for row in rows],
    }


def _stored(found: Facts) -> Iterator[dict[str, Any]]:
    """Yield the sets of records that the store holds: one for every dimension that arrays begin with."""
    for dim in sorted({array.dims[0] for array in found.arrays} - {"condition"}):
        mine = [array for array in found.arrays if array.dims[0] == dim]
        yield {
            "@type": "cr:RecordSet",
            "@id": dim,
            "name": dim,
            "description": f"One record for each {dim.replace('_', ' ')}; fields are arrays of the store.",
            "field": [_field(array) for array in mine],
            "annotation": {
                "@type": "cr:Field",
                "@id": f"{dim}/count",
                "value": mine[0].shape[0],
                "dataType": COUNT,
            },
        }


def _field(array: StoredArray) -> dict[str, Any]:
    about = f"{array.description or array.name.replace('_', ' ')} [{', '.join(array.dims)}]"
    field: dict[str, Any] = {
        "@type": "cr:Field",
        "@id": f"{array.dims[0]}/{array.name}",
        "name": array.name,
        "description": f"{about}, unit {array.unit}" if array.unit else about,
        "dataType": TYPES[array.dtype],
        "source": {"fileObject": {"@id": "store"}, "extract": {"column": array.name}},
    }
    if array.shape[1:]:
        field |= {"isArray": True, "arrayShape": ",".join(map(str, array.shape[1:]))}
    return field
