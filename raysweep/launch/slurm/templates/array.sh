{% include "header.sh" %}
#SBATCH --array=0-{{ tasks - 1 }}
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task={{ request.cpus }}
{% if request.gpus %}
#SBATCH --gres=gpu:{{ request.gpus }}
{% endif %}
{% if request.time %}
#SBATCH --time={{ request.time }}
{% endif %}
#SBATCH --signal=B:USR1@{{ request.stop_before }}
# Every task of this array is a launch of its own on one node. They share the store, and with it the work.
{% include "start.sh" %}
{% include "requeue.sh" %}

{{ command | command }} &
{% include "end.sh" %}
