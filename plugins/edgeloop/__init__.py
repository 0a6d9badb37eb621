"""How Airflow talks to Azure, registries and sites: hooks speak, triggers wait, operators interpret, stages do one task's work."""
