#!/bin/bash
#SBATCH --job-name={{ name }}
#SBATCH --output={{ log | directive }}
#SBATCH --open-mode=append
#SBATCH --requeue
{% if request.partition %}
#SBATCH --partition={{ request.partition | directive }}
{% endif %}
{% for option in request.more %}
#SBATCH {{ option | option }}
{% endfor %}
