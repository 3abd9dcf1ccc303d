"""The one way by which values leave a model's device.

Whoever asks for a value makes the host wait until the device has done all that was queued, so that it stands idle
afterwards. Hooks and everything else inside a pass therefore work on tensors alone, and results leave together.
"""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray


def to_host(tensors: Sequence[torch.Tensor]) -> list[NDArray[Any]]:
    """The tensors as arrays, waiting for their device once. On a CPU they share memory."""
    copies = [tensor.to("cpu", non_blocking=True) for tensor in tensors]
    for device in {tensor.device for tensor in tensors if tensor.is_cuda}:
        torch.cuda.synchronize(device)
    return [copy.numpy() for copy in copies]
