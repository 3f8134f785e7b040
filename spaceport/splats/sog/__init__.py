"""PlayCanvas SOG: its codec, the quantisation of each attribute, the SH palette, levels of detail, and PLAS."""
