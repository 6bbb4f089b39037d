{% include "header.sh" %}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=1
#SBATCH --time={{ request.report_time }}
# When the launch has ended: publish what it left for MLflow, write the report. Exit code 1: the table is incomplete.
{% include "start.sh" %}

exec {{ command | command }}
