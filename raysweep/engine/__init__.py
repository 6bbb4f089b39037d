"""Ray lives here and nowhere else: Tune hands out tasks, Train runs the trainer.

Nothing is imported here: every process that trains imports this package, and must not wait for MLflow.
"""
