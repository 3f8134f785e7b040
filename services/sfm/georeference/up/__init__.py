"""Which way is up in a model: the evidence, each kind in a module of its own, and how it is combined. Pure numpy."""
