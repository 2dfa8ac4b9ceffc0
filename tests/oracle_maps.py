"""From the names of published implementations to ours: a table of substitutions a family.

Each rule is (pattern, template) and is applied to the whole name, one after the other. In a
template `{1}` is the first group, `{1-1}` and `{2//2}` compute with it; of `(a|b)` the first that
the model has is meant; `@0/3` is the first third of a fused tensor; `*` stands for whatever the
model has there.
"""

from __future__ import annotations

import fnmatch
import re
from functools import partial
from itertools import product
from typing import NamedTuple

Rules = list[tuple[str, str]]

RESNET: Rules = [
    (r"^conv1", "stem.cna.conv"),
    (r"^bn1", "stem.cna.norm"),
    (r"^fc", "head.linear"),
    (r"^layer(\d)\.(\d+)", "stages.{1-1}.blocks.{2}.(bottleneck|basic).residual"),
    (r"\.conv1\.", ".do.cna.conv."),
    (r"\.bn1\.", ".do.cna.norm."),
    (r"\.conv2\.", ".do.(cna#2.conv|conv)."),
    (r"\.bn2\.", ".do.(cna#2.norm|norm)."),
    (r"\.conv3\.", ".do.conv."),
    (r"\.bn3\.", ".do.norm."),
    (r"\.downsample\.0\.", ".shortcut.conv."),
    (r"\.downsample\.1\.", ".shortcut.norm."),
]
REGNET: Rules = [
    (r"^stem\.conv", "stem.cna.conv"),
    (r"^stem\.bn", "stem.cna.norm"),
    (r"^head\.fc", "head.linear"),
    (r"^s(\d)\.b(\d+)", "stages.{1-1}.blocks.{2-1}.bottleneck.residual"),
    (r"\.conv1\.", ".do.cna."),
    (r"\.conv2\.", ".do.cna#2."),
    (r"\.conv3\.", ".do."),
    (r"\.se\.fc1", ".do.se.mul.1.conv"),
    (r"\.se\.fc2", ".do.se.mul.1.conv#2"),
    (r"\.downsample\.", ".shortcut."),
    (r"\.bn\.", ".norm."),
]
MBCONV: Rules = [
    (r"^conv_stem", "stem.cna.conv"),
    (r"^bn1", "stem.cna.norm"),
    (r"^conv_head", "head.cna.conv"),
    (r"^bn2", "head.cna.norm"),
    (r"^classifier", "head.linear"),
    # without expansion the convolutions are two, and so are the norms
    (r"^(blocks\.0\.\d+)\.conv_pw\.", "{1}.conv."),
    (r"^(blocks\.0\.\d+)\.bn1\.", "{1}.dna.norm."),
    (r"^(blocks\.0\.\d+)\.bn2\.", "{1}.norm."),
    (r"\.conv_pw\.", ".cna.conv."),
    (r"\.bn1\.", ".cna.norm."),
    (r"\.conv_dw\.", ".dna.dwconv."),
    (r"\.bn2\.", ".dna.norm."),
    (r"\.se\.conv_reduce\.", ".se.mul.1.conv."),
    (r"\.se\.conv_expand\.", ".se.mul.1.conv#2."),
    (r"\.conv_pwl\.", ".conv."),
    (r"\.bn3\.", ".norm."),
    (r"^blocks\.(\d+)\.(\d+)", "stages.{1}.blocks.{2}.mbconv.residual.do"),
]
# what the transformers of timm have in common, below a block
TRANSFORMER: Rules = [
    (r"\.norm1\.", ".(mhsa|swin).residual.do.norm."),
    (r"\.attn\.qkv\.", ".(mhsa|swin).residual.do.attention.to_qkv."),
    (r"\.attn\.proj\.", ".(mhsa|swin).residual.do.attention.proj."),
    (r"\.attn\.relative_position_bias_table", ".swin.residual.do.attention.bias"),
    (r"\.norm2\.", ".mlp.residual.do.norm."),
    (r"\.mlp\.fc1\.", ".mlp.residual.do.linear."),
    (r"\.mlp\.fc2\.", ".mlp.residual.do.linear#2."),
    (r"^norm\.", "head.norm."),
    (r"^head(\.fc)?\.(weight|bias)$", "head.linear.{2}"),
]
DEIT: Rules = [
    (r"^cls_token", "stem.class_token.weight"),
    (r"^pos_embed", "stem.position.weight"),
    (r"^patch_embed\.proj", "stem.conv"),
    (r"^blocks\.", "stages.0.blocks."),
    *TRANSFORMER,
]
SWIN: Rules = [
    (r"^patch_embed\.proj", "stem.conv"),
    (r"^patch_embed\.norm", "stem.norm"),
    (r"^layers\.(\d)\.downsample\.reduction", "stages.{1}.down.linear"),
    (r"^layers\.(\d)\.downsample\.norm", "stages.{1}.down.norm"),
    (r"^layers\.", "stages."),
    *TRANSFORMER,
]
CONVNEXT: Rules = [
    (r"^stem\.0", "stem.conv"),
    (r"^stem\.1", "stem.norm"),
    (r"\.downsample\.0\.", ".down.norm."),
    (r"\.downsample\.1\.", ".down.conv."),
    (r"^head\.fc", "head.linear"),
    (r"(\.blocks\.\d+)\.", "{1}.convnext.residual.do."),
    (r"\.gamma$", ".layer_scale.weight"),
    (r"\.conv_dw\.", ".dwconv."),
    (r"\.mlp\.fc1\.", ".linear."),
    (r"\.mlp\.fc2\.", ".linear#2."),
]
CMT: Rules = [
    *((rf"^([a-z_]+)_{letter}\b", f"{{1}}_{stage}") for stage, letter in enumerate("abcd")),
    (r"^relative_pos_(\d)", "stages.{1}.shared.*"),
    (r"^stem_(conv|norm)1", "stem.{1}"),
    (r"^stem_(conv|norm)(\d)", "stem.times.{2-2}.{1}"),
    (r"^patch_embed_(\d)\.proj", "stages.{1}.down.conv"),
    (r"^patch_embed_(\d)\.norm", "stages.{1}.down.norm"),
    (r"^_fc", "head.conv"),
    (r"^_bn", "head.norm"),
    (r"^head\.(weight|bias)", "head.linear.{1}"),
    (r"^blocks_(\d)\.(\d+)", "stages.{1}.blocks.{2}"),
    (r"(\.blocks\.\d+)\.proj\.", "{1}.lpu.residual.do.dwconv."),
    (r"\.norm1\.", ".lmhsa.residual.do.norm."),
    (r"\.attn\.", ".lmhsa.residual.do.attention."),
    (r"\.sr\.0\.", ".kv.dwconv."),
    (r"\.sr\.1\.", ".kv.norm."),
    (r"\.q\.(\w+)$", ".(to_q.{1}|to_qkv.{1}@0/3)"),
    (r"\.k\.(\w+)$", ".(to_kv.{1}@0/2|to_qkv.{1}@1/3)"),
    (r"\.v\.(\w+)$", ".(to_kv.{1}@1/2|to_qkv.{1}@2/3)"),
    (r"\.norm2\.", ".irffn.residual.do.norm."),
    (r"\.mlp\.conv1\.0\.", ".irffn.residual.do.conv."),
    (r"\.mlp\.conv1\.2\.", ".irffn.residual.do.norm#2."),
    (r"\.mlp\.proj\.", ".irffn.residual.do.residual.do.dwconv."),
    (r"\.mlp\.proj_bn\.", ".irffn.residual.do.norm#3."),
    (r"\.mlp\.conv2\.0\.", ".irffn.residual.do.conv#2."),
    (r"\.mlp\.conv2\.1\.", ".irffn.residual.do.norm#4."),
]
SPACH: Rules = [
    (r"^stem\.proj\.", "stem.conv."),
    (r"^norm1\.", "stem.norm."),
    (r"^norm2\.", "head.norm."),
    (r"^head\.(weight|bias)", "head.linear.{1}"),
    (r"^layer(\d)\.0\.net\.1\.0\.", "stages.{1-1}.down.conv."),
    (r"^layer(\d)\.0\.net\.1\.1\.", "stages.{1-1}.down.norm."),
    (r"^layer1\.(\d+)", "stages.0.blocks.{1}"),
    # the downsampling is counted among the blocks
    (r"^layer(\d)\.(\d+)", "stages.{1-1}.blocks.{2-1}"),
    (r"\.norm1\.", ".mix_attn.add.0.residual.do.norm."),
    (r"\.spatial_func\.qkv\.", ".mix_attn.add.0.residual.do.attention.to_qkv."),
    (r"\.spatial_func\.proj\.", ".mix_attn.add.0.residual.do.attention.proj."),
    (r"\.gamma_1$", ".mix_attn.add.0.residual.do.layer_scale.weight"),
    (r"\.cpe_net\.net\.1\.", ".(mix_conv.cpe.residual.do|mix_attn.add.1).dwconv."),
    (r"\.norm2\.", ".(mix_conv|mix_attn).mlp.residual.do.norm."),
    (r"\.channel_func\.fc1\.", ".(mix_conv|mix_attn).mlp.residual.do.linear."),
    (r"\.channel_func\.fc2\.", ".(mix_conv|mix_attn).mlp.residual.do.linear#2."),
]
REPLKNET: Rules = [
    (r"^norm\.", "head.norm."),
    (r"^head\.(weight|bias)", "head.linear.{1}"),
    (r"^stem\.0\.", "stem.cna."),
    (r"^stem\.1\.conv\.", "stem.dna.dwconv."),
    (r"^stem\.1\.", "stem.dna."),
    (r"^stem\.2\.", "stem.cna#2."),
    (r"^stem\.3\.conv\.", "stem.dna#2.dwconv."),
    (r"^stem\.3\.", "stem.dna#2."),
    (r"^transitions\.(\d)\.0\.", "stages.{1+1}.down.cna."),
    (r"^transitions\.(\d)\.1\.conv\.", "stages.{1+1}.down.dna.dwconv."),
    (r"^transitions\.(\d)\.1\.", "stages.{1+1}.down.dna."),
    # large kernels and feed-forward networks take turns; a block of ours is one of each
    (r"\.blocks\.(\d*[02468])\.", ".blocks.{1//2}.replk.residual.do."),
    (r"\.blocks\.(\d*[13579])\.(?!replk)", ".blocks.{1//2}.conv_ffn.residual.do."),
    (r"\.(prelkb|preffn)_bn\.", ".norm."),
    (r"(replk.*)\.pw1\.conv\.", "{1}.cna.conv."),
    (r"(replk.*)\.pw1\.bn\.", "{1}.cna.norm."),
    (r"\.large_kernel\.lkb_origin\.conv\.", ".merge.0.dwconv."),
    (r"\.large_kernel\.lkb_origin\.bn\.", ".merge.0.norm."),
    (r"\.large_kernel\.small_conv\.conv\.", ".merge.1.dwconv."),
    (r"\.large_kernel\.small_conv\.bn\.", ".merge.1.norm."),
    (r"\.large_kernel\.lkb_reparam\.", ".merge."),
    (r"(replk.*)\.pw2\.conv\.", "{1}.conv."),
    (r"(replk.*)\.pw2\.bn\.", "{1}.norm#2."),
    (r"\.pw1\.conv\.", ".conv."),
    (r"\.pw1\.bn\.", ".norm#2."),
    (r"\.pw2\.conv\.", ".conv#2."),
    (r"\.pw2\.bn\.", ".norm#3."),
    (r"\.bn\.", ".norm."),
]
FAMILIES: dict[str, Rules] = {
    "cmt": CMT,
    "convnext": CONVNEXT,
    "deit": DEIT,
    "efficientnet": MBCONV,
    "mobilenetv2": MBCONV,
    "regnet": REGNET,
    "replknet": REPLKNET,
    "resnet": RESNET,
    "spach": SPACH,
    "swin": SWIN,
}


class Target(NamedTuple):
    """Where a reference tensor goes: our name, and which of how many equal parts of it."""

    name: str
    part: int = 0
    parts: int = 1


def find_target(name: str, family: str, ours: set[str]) -> Target:
    """Our one tensor for a reference name."""
    for pattern, template in FAMILIES[family]:
        name = re.sub(pattern, partial(_filled, template), name)
    for choice in _alternatives(name):
        wanted, _, share = choice.partition("@")
        part, _, parts = share.partition("/")
        found = fnmatch.filter(ours, wanted)
        assert len(found) < 2, (choice, found)
        if found:
            return Target(found[0], int(part or 0), int(parts or 1))
    raise AssertionError(f"the model has no {name}")


def _filled(template: str, match: re.Match[str]) -> str:
    def value(place: re.Match[str]) -> str:
        text = match[int(place[1])]
        if not place[2]:
            return text
        number, by = int(text), int(place[3])
        return str({"+": number + by, "-": number - by, "//": number // max(by, 1)}[place[2]])

    return re.sub(r"\{(\d)(?:(\+|-|//)(\d+))?\}", value, template)


def _alternatives(name: str) -> list[str]:
    pieces = re.split(r"\(([^()]*)\)", name)
    choices = [piece.split("|") if number % 2 else [piece] for number, piece in enumerate(pieces)]
    return ["".join(chosen) for chosen in product(*choices)]
