"""What is not Airflow: decisions, workloads, what ships elsewhere, and the embedded cloud."""
