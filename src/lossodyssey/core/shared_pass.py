"""The one pass over the logits that serves all losses of a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from torch import Tensor

from lossodyssey import kernels
from lossodyssey.core.lazy import lazy
from lossodyssey.kernels import Request, Statistics, Truth


class Asker(Protocol):
    """A loss, as the pair sees it: it adds its needs to the request of the one pass over the logits."""

    def ask(self, pair: Any, request: Request) -> None: ...


class SharedPass:
    """Abstract: what a pair knows from its one pass over the logits `z` (N, C, V), for the `losses` of its sum."""

    losses: Sequence[Asker]
    truth: Truth
    z: Any

    def statistics(self, loss: Asker) -> Statistics:
        """Return the statistics of the logits for `loss`; one pass serves all losses of the sum."""
        return self._pass_for(loss)[1]

    def term(self, loss: Asker, k: int = 0) -> Tensor:
        """Return the k-th of the summed terms that `loss` asked for."""
        request, statistics = self._pass_for(loss)
        return statistics.terms[request.position(loss) + k]

    def map_sums(self, loss: Asker) -> tuple[Tensor, Tensor]:
        """Return the sums of s and of g under the maps that `loss` asked for, each (N, C, maps)."""
        request, statistics = self._pass_for(loss)
        own = request.map_positions(loss)
        return statistics.map_sums[:, :, own], statistics.map_truths[:, :, own]

    def _pass_for(self, loss: Asker) -> tuple[Request, Statistics]:
        # By identity: equal losses of one sum have terms of their own in the request.
        return self._shared_pass if any(known is loss for known in self.losses) else self._run_pass([loss])

    @lazy
    def _shared_pass(self) -> tuple[Request, Statistics]:
        return self._run_pass(self.losses)

    def _run_pass(self, losses: Sequence[Asker]) -> tuple[Request, Statistics]:
        request = Request()
        for loss in losses:
            loss.ask(self, request)
        return request, kernels.run_pass(self.z, self.truth, request)
