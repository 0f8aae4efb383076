"""A local web page to explore generators and recordings; needs the extra `explore` (panel)."""
