"""Images and registries by HTTP: pull, push, append a layer, copy, sign, verify. A file a verb; no daemon, no command line tool."""
