"""How tutorials are executed when the documentation is built."""

c = get_config()  # type: ignore[name-defined]
c.NotebookClient.timeout = 600  # s for a cell
c.NotebookClient.extra_arguments = ["--log-level=ERROR"]  # ports of this machine need no note
