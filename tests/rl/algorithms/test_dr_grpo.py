from tests.rl.policy import MAX_TOKENS, Case, Rows, clipped_cost, compare, every_case, mean

from reachlab.rl.algorithms.dr_grpo import DR_GRPO


@every_case
def test_value_and_gradient(given: Case) -> None:
    old = given.rows(given.logprobs(given.old_TV))

    def paper(new: Rows) -> float:
        cost, answers = 0.0, 0
        for p, rewards in enumerate(given.rewards()):
            for m, reward in enumerate(rewards):
                answers += 1
                for log_new, log_old in zip(new[p][m], old[p][m], strict=True):
                    cost += clipped_cost(log_new, log_old, reward - mean(rewards), 0.2, 0.2)
        return cost / (answers * MAX_TOKENS)

    compare(DR_GRPO, given, paper)
