import pytest
import torch

from reachlab.errors import ReachlabError
from reachlab.models.devices import choose_device


def test_devices_by_name() -> None:
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.parametrize("name", ["cuda:99", "gpu", "", "xpu"])
def test_a_device_that_is_not_here(name: str) -> None:
    with pytest.raises(ReachlabError, match=f"device '{name}' is not usable here: ") as error:
        choose_device(name)
    assert "\n" not in str(error.value)
