from reachlab.provenance import provenance


def test_provenance_names_versions_and_the_commit() -> None:
    found = provenance()
    assert {"reachlab", "torch", "numpy"} <= set(found["versions"])
    assert found["commit"] is None or len(found["commit"]) == 40
    assert found["dirty"] in (True, False, None)
