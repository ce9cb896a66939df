"""Sources to firmware: make, the linker map and the symbols of the ELF file."""
