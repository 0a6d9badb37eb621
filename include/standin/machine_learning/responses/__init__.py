"""The answers, as Azure Resource Manager and Azure ML's run history word them. Shapes: what `azure-ai-ml` 1.35 sends and reads."""
