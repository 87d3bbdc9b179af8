"""The libraries that are measured, one file for each."""

from thalweg.bench.peers.base import Peer, Session, Trained, version_of
from thalweg.bench.peers.jax_scan import Jax
from thalweg.bench.peers.jax_vmap import JaxMap, JaxVmap
from thalweg.bench.peers.joblib_loop import Joblib
from thalweg.bench.peers.keras_fit import Keras
from thalweg.bench.peers.own import Own, newest_backend
from thalweg.bench.peers.pytorch import PyTorch
from thalweg.bench.peers.pytorch_compiled import CompiledPyTorch
from thalweg.bench.peers.scikit_learn import ScikitLearn
from thalweg.bench.peers.torch_vmap import TorchVmap

__all__ = ["Peer", "Session", "Trained", "all_peers", "newest_backend", "version_of"]


def all_peers(backend: str = "") -> dict[str, Peer]:
    """Every library by its name, thalweg first.

    Args:
        backend: thalweg's; by default the newest that this version has.
    """
    found: list[Peer] = [
        Own(backend or newest_backend()),
        PyTorch(),
        CompiledPyTorch(),
        Jax(),
        ScikitLearn(),
        Keras(),
        TorchVmap(),
        JaxVmap(),
        JaxMap(),
        Joblib(),
    ]
    return {peer.name: peer for peer in found}
