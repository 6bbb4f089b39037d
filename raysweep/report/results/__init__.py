"""What MLflow and the plan say: loaded, checked, aggregated, tested."""
