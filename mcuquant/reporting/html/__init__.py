"""One self-contained HTML page about a build: what it costs, where it lies in memory, what quantization did to it."""
