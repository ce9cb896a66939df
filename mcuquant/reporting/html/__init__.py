"""One self-contained HTML page about a build: costs, memory layout, and effects of quantization."""
