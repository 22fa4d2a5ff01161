from reachlab.training.progress_line import progress_line

RL = {
    "loss": 1.9e-9, "reward": 0.25, "accuracy": 0.25, "answer_tokens": 61.7, "truncated": 0.031, "kl_start": 0.0123,
    "truncated_right": 0.0, "contradictions": 0.0, "groups_partial": 0.0,
}  # fmt: skip


def test_rl_shows_accuracy_length_truncation_and_kl_and_no_loss() -> None:
    assert progress_line(RL) == {"accuracy": "25.0%", "tokens": 62, "cut": "3.1%", "KL": 0.0123}


def test_what_differs_or_should_not_be_is_shown_where_it_is() -> None:
    found = progress_line({**RL, "reward": 0.3, "contradictions": 2.0, "groups_partial": 0.5, "eval_pass1": 0.4})
    assert found == {
        "accuracy": "25.0%", "reward": 0.3, "tokens": 62, "cut": "3.1%", "KL": 0.0123, "partial credit alone": "50.0%",
        "held-out": "40.0%", "contradictions": 2,
    }  # fmt: skip
    unwatched = {name: value for name, value in RL.items() if name != "kl_start"}
    assert "KL" not in progress_line(unwatched)


def test_next_token_training_shows_nats_a_token() -> None:
    assert progress_line({"loss": 0.5, "tokens": 100.0}) == {"nats a token": 0.5}
    assert progress_line({"loss": 0.5, "val_loss": 0.7}) == {"nats a token": 0.5, "held-out": 0.7}
