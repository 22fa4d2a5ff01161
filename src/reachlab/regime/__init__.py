"""When selecting rollouts pays: a cost model, and the advice that measures it."""
