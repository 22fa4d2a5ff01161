"""Drawing a run: plan, draw, judge, store; go on where it stopped."""
