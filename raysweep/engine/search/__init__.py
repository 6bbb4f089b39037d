"""Search inside arms: Optuna proposes (`study`), the desk hands out (`desk`), Tune runs (`tune`, `trial`)."""
