"""The palette of higher SH bands: vector quantisation."""
