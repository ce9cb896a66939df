"""PyTorch modules of functions by name, conditions, masks, sums of products, windows and parameters of parameters."""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812 - torch's own name for it
from torch import Tensor, nn
from torch_modules import IMAGE, ROW, SIGNAL, TOKENS, Call, Case

FUNCTIONS: dict[str, Case] = {
    "signs": (Call(lambda x: x.sign() * x.sgn() + x.trunc() + x.frac() + x.fix()), [IMAGE]),
    "logarithms": (Call(lambda x: x.square().log1p() + (x.abs() + 1).log2() + (x.abs() + 1).log10()), [IMAGE]),
    "exponentials": (Call(lambda x: x.expm1() + x.exp2() + torch.pow(2.5, x)), [IMAGE]),
    "powers": (Call(lambda x: x.abs() ** 1.5 + x**3 + (x.abs() + 1) ** -2), [IMAGE]),
    "angles": (Call(lambda x: (x / 3).tan() + x.atan() + (x / 5).asin() + (x / 5).acos()), [IMAGE]),
    "hyperbolic": (Call(lambda x: x.sinh() + x.cosh() + x.asinh() + (x.abs() + 1).acosh() + (x / 5).atanh()), [IMAGE]),
    "error_function": (Call(lambda x: torch.erf(x) + torch.special.erf(x)), [IMAGE]),
    "shrinkage": (Call(lambda x: F.hardshrink(x, 0.3) + F.softshrink(x, 0.2) + F.tanhshrink(x)), [IMAGE]),
    "threshold": (nn.Threshold(0.1, 0.2), [IMAGE]),
    "softsign": (nn.Softsign(), [IMAGE]),
    "randomized_relu": (nn.RReLU(), [IMAGE]),
    "remainders": (Call(lambda x: x.fmod(0.7) + torch.remainder(x, 0.7) + x.clamp(0.1, 0.9).logit(1e-3)), [IMAGE]),
    "rounded_quotients": (Call(lambda x: x // 0.7 + torch.div(x, 0.6, rounding_mode="trunc")), [IMAGE]),
    "clamp_by_tensors": (Call(lambda x: torch.clamp(x, -torch.ones(12), torch.full((12,), 0.5))), [ROW]),
}

CONDITIONS: dict[str, Case] = {
    "comparisons": (Call(lambda x, y: (x > y).float() + (x >= 0.5) + (x > 0.1) + (x <= y) + (x != y)), [ROW, ROW]),
    "logic": (Call(lambda x: ((x > 0) & (x < 1) | ~(x > -1)).to(x.dtype) + ((x == 0) == 0)), [ROW]),
    "where": (Call(lambda x: torch.where(x > 0, x, 0.1 * x) + torch.where(x > 0.5, 1.0, 0.0)), [IMAGE]),
    "where_constant": (Call(lambda x: torch.where(torch.arange(12) < 5, x, 2.0) + x), [ROW]),
    "masked_fill": (Call(lambda x: x.masked_fill(torch.eye(7, 12, dtype=torch.bool), 3.0)), [TOKENS]),
    "masked_fill_computed": (Call(lambda x: x.masked_fill(x > 0, 0.0)), [TOKENS]),
}


class Masked(nn.Module):
    """Attention of each position to those before it, by a mask in one of the ways that networks have it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.register_buffer("mask", torch.tril(torch.ones(7, 7)))

    def forward(self, x: Tensor) -> Tensor:
        scores = torch.einsum("bqd,bkd->bqk", x, x)
        if self.kind == "infinite":
            scores = scores.masked_fill(self.mask == 0, float("-inf"))
        elif self.kind == "large":
            above = torch.triu(torch.ones(7, 7, dtype=torch.bool), diagonal=1)
            scores = scores.masked_fill(above, -1e9) * 0.3
        else:
            scores = scores + nn.Transformer.generate_square_subsequent_mask(7)
        return scores.softmax(-1) @ x


MASKS: dict[str, Case] = {
    "causal": (Call(lambda x: F.scaled_dot_product_attention(x, x, x, is_causal=True)), [TOKENS]),
    "mask_of_booleans": (Call(lambda x: F.scaled_dot_product_attention(x, x, x, torch.eye(7) < 1)), [TOKENS]),
    "mask_infinite": (Masked("infinite"), [TOKENS]),
    "mask_large": (Masked("large"), [TOKENS]),
    "mask_added": (Masked("added"), [TOKENS]),
}

SUMS: dict[str, Case] = {
    "einsum_product": (Call(lambda x, y: torch.einsum("bnd,bde->bne", x, y)), [TOKENS, (1, 12, 5)]),
    "einsum_scale": (Call(lambda x: torch.einsum("bcl,bc->bcl", x, x.mean(-1))), [SIGNAL]),
    "einsum_constant": (Call(lambda x: torch.einsum("vw,nctw->nctv", torch.ones(4, 10).tril(), x)), [IMAGE]),
    "einsum_adjacency": (
        Call(lambda x: torch.einsum("nkctv,kvw->nctw", x.view(1, 3, 2, 8, 10), torch.ones(3, 10, 10).triu())),
        [IMAGE],
    ),
    "einsum_three": (
        Call(lambda x, y: torch.einsum("bnd,bde,bn->bne", x, y, x.sum(2))),
        [TOKENS, (1, 12, 5)],
    ),
    "einsum_dots": (Call(lambda x: torch.einsum("...i,ji->...j", x, torch.ones(3, 12).tril())), [TOKENS]),
    "einsum_implicit": (Call(lambda x: torch.einsum("bij,bjk", x, x.transpose(1, 2))), [TOKENS]),
    "matrix_times_vector": (Call(lambda x: x @ x[0, 0] + torch.mv(x[0], torch.ones(12)) + x[0, 0, 0]), [TOKENS]),
    "vector_times_matrix": (Call(lambda x: x[0, 0] @ x.transpose(1, 2) + torch.dot(x[0, 1], x[0, 2])), [TOKENS]),
    "outer": (Call(lambda x: torch.outer(x[0], x[0] * 2)), [ROW]),
    "baddbmm": (
        Call(lambda x: torch.baddbmm(torch.ones(1, 7, 7), x, x.transpose(1, 2), beta=0.5, alpha=0.3)),
        [TOKENS],
    ),
    "addmm": (Call(lambda x: torch.addmm(torch.ones(5), x, torch.ones(12, 5).tril(), alpha=0.5, beta=2)), [ROW]),
    "bilinear_layer": (nn.Bilinear(12, 12, 3), [ROW, ROW]),
    "cosine_similarity": (nn.CosineSimilarity(), [ROW, ROW]),
    "pairwise_distance": (Call(lambda x, y: (x - y).norm(dim=1) + F.pairwise_distance(x, y, eps=0)), [ROW, ROW]),
    "lerp": (Call(lambda x, y: torch.lerp(x, y, 0.3)), [ROW, ROW]),
    "addcmul": (
        Call(lambda x, y: x.addcmul(x, y, value=0.5).addcdiv(y, torch.full((12,), 2.0))),
        [ROW, ROW],
    ),
    "logsumexp": (Call(lambda x: x.logsumexp(1) + x.logsumexp(1, keepdim=True)), [ROW]),
    "cumsum": (Call(lambda x: x.cumsum(-2)), [IMAGE]),
    "infinity_norm": (Call(lambda x: x.norm(float("inf"), 1)), [ROW]),
}

WINDOWS: dict[str, Case] = {
    "unfold": (Call(lambda x: x.unfold(2, 8, 4)), [SIGNAL]),
    "patches": (nn.Sequential(nn.Unfold((3, 2), 1, 1, 2), nn.Conv1d(36, 4, 1)), [IMAGE]),
    "dilated_max_pool": (nn.MaxPool2d((3, 2), (2, 1), 1, dilation=2), [IMAGE]),
    "max_pool_with_places": (Call(lambda x: F.max_pool1d(x, 3, return_indices=True)[0]), [SIGNAL]),
    "adaptive_many": (nn.AdaptiveAvgPool1d(47), [(1, 6, 60)]),
    "mean_of_stack": (
        Call(lambda x: torch.stack([x, x * 2, x.sin()]).mean(0) + torch.stack([x, x + 1]).amax(0)),
        [ROW],
    ),
    "stft": (
        Call(lambda x: torch.stft(x[0], 16, 4, 12, torch.hann_window(12), return_complex=True).abs().transpose(1, 2)),
        [(1, 2, 40)],
    ),
    "stft_parts": (
        Call(lambda x: torch.view_as_real(torch.stft(x, 8, 2, 8, torch.hann_window(8), False, return_complex=True))),
        [(1, 24)],
    ),
    "rfft": (
        Call(lambda x: torch.fft.rfft(x, norm="ortho").real[:, :4] ** 2 + torch.fft.rfft(x, dim=1).imag[:, :, :7]),
        [TOKENS],
    ),
    "windows_as_a_batch": (
        nn.Sequential(
            Call(lambda x: x.view(6, 1, 8, 10)),
            *(nn.Conv2d(1, 4, 3, padding=1), nn.MaxPool2d(2), nn.Upsample(scale_factor=2), nn.AvgPool2d(2)),
            *(nn.ConvTranspose2d(4, 2, 2, 2), Call(lambda x: x.reshape(1, 12, 8, 10))),
        ),
        [IMAGE],
    ),
    "empty_parts": (Call(lambda x: torch.cat([x[:, :0], x[:, 3:], x[:, 12:]], 1)), [ROW]),
    "local_response": (nn.LocalResponseNorm(3), [IMAGE]),
    "argmax": (Call(lambda x: (x.argmax(1), x.argmin(-1), x.argmax(2, keepdim=True))), [IMAGE]),
    "argmax_of_all": (Call(lambda x: x.flatten().argmax()), [IMAGE]),
    "expand_and_reshape": (Call(lambda x: x[:, :, :, None].expand(1, 6, 20, 3).reshape(1, 6, 60)), [SIGNAL]),
    "expand_in_arithmetic": (Call(lambda x: x * x.mean(2, keepdim=True).expand_as(x).sigmoid()), [SIGNAL]),
    "expand_and_linear": (nn.Sequential(Call(lambda x: x[:, None].expand(1, 4, 12)), nn.Linear(12, 5)), [ROW]),
    "repeat_many": (Call(lambda x: x.repeat(1, 300)), [ROW]),
    "repeat_interleave": (Call(lambda x: x.repeat_interleave(3, 1)), [IMAGE]),
    "pad_and_cut": (Call(lambda x: F.pad(x, (-1, 1, 2, -2))), [IMAGE]),
    "stacks": (Call(lambda x: torch.hstack([x, x]) + torch.vstack([x, x])[:1].repeat(1, 2)), [ROW]),
    "axes": (Call(lambda x: x.movedim(1, -1).swapaxes(1, 2).mT), [IMAGE]),
}


class Shift(nn.Module):
    """Channels moved in time by writes into parts of a tensor."""

    def forward(self, x: Tensor) -> Tensor:
        y = torch.zeros_like(x)
        y[:, :2, :-1] = x[:, :2, 1:]
        y[:, 2:4, 1:] = x[:, 2:4, :-1]
        y[:, 4:] = x[:, 4:]
        y[:, 5] = 0.5
        y[:, :, ::7] = x[:, :, 1::7]
        return y


class Standardized(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        w = self.weight
        w = (w - w.mean((1, 2, 3), keepdim=True)) / (w.std((1, 2, 3), keepdim=True) + 1e-5)
        return F.conv2d(x, torch.renorm(w, 2, 0, 1.0), self.bias)


class Scopes(nn.Module):
    """Parts without gradients and without autocast, one inside the other."""

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        with torch.autocast("cpu", enabled=False):
            y = x.float() * 2
            with torch.no_grad():
                z = y + x
        return y + z, z.view_as(y)


class Positions(nn.Module):
    """Rotary and learned positions, computed anew from constants in each run."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Embedding(7, 12)
        self.scale = nn.Parameter(torch.tensor(0.3))

    def forward(self, x: Tensor) -> Tensor:
        angles = torch.outer(torch.arange(7.0), 1 / 100 ** (torch.arange(0, 12, 2) / 12)).repeat_interleave(2, 1)
        weights = F.softmax(torch.ones(7, 7).tril().masked_fill(torch.eye(7) > 0, 2.0), 1)
        x = x * angles.cos() + x.flip(-1) * angles.sin() + self.table(torch.arange(x.shape[1]))
        return (weights @ x) * self.scale.exp() + torch.linspace(-1, 1, 12).clamp(min=0).square().sum()


CONSTANTS: dict[str, Case] = {
    "writes": (Shift(), [SIGNAL]),
    "standardized_weights": (Standardized(6, 4, 3), [IMAGE]),
    "spectral_norm": (torch.nn.utils.parametrizations.spectral_norm(nn.Conv1d(6, 4, 3)), [SIGNAL]),
    "positions": (Positions(), [TOKENS]),
    "window_function": (Call(lambda x: x * torch.hann_window(20) + torch.hamming_window(20, False)), [SIGNAL]),
    "scopes": (Scopes(), [ROW]),
    "batch_norm_of_weights": (
        Call(lambda x: F.conv1d(x, F.batch_norm(torch.ones(1, 4, 6).tril(), None, None, training=True).view(4, 6, 1))),
        [SIGNAL],
    ),
    "grid": (Call(lambda x: x + torch.meshgrid(torch.arange(8), torch.arange(10), indexing="ij")[0]), [IMAGE]),
    "write_into_the_input": (Call(lambda x: x[:, :3].copy_(x[:, 3:6]) + 1), [ROW]),
    "like": (Call(lambda x: x + torch.full_like(x, 2) * torch.ones_like(x) + x.new_zeros(10)), [IMAGE]),
}
