"""Prints a network's layers with shapes and parameters."""

from catdog.network.architecture import BLOCKS, INPUT_PIXELS, POOL_PIXELS, Architecture

Row = tuple[str, str, str]


def summary(architecture: Architecture) -> str:
    """A table of the layers, some lines without a last newline."""
    rows = [("layer", "output", "parameters"), *_backbone(architecture), *_head(architecture)]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [f"{name:<{widths[0]}}  {shape:<{widths[1]}}  {count:>{widths[2]}}" for name, shape, count in rows]
    backbone = sum(layer.parameters for layer in architecture.backbone_layers)
    total = f"{architecture.parameters:,} parameters, {backbone:,} of them in the backbone"
    return "\n".join([lines[0], "-" * len(lines[0]), *lines[1:], "", total])


def _backbone(architecture: Architecture) -> list[Row]:
    side, channels = INPUT_PIXELS, 3
    rows = [("pixels", _shape(side, side, channels), "0")]
    for block, layers in zip(BLOCKS, architecture.blocks, strict=True):
        for layer in layers:
            channels = layer.kernel_shape[-1]
            rows.append((layer.name, _shape(side, side, channels), f"{layer.parameters:,}"))
        side //= POOL_PIXELS
        rows.append((f"{block.name}_pool", _shape(side, side, channels), "0"))
    return rows


def _head(architecture: Architecture) -> list[Row]:
    first = "features" if architecture.head == "pooled" else "flatten"
    rows = [(first, _shape(architecture.head_layers[0].kernel_shape[0]), "0")]
    return rows + [(la.name, _shape(*la.bias_shape), f"{la.parameters:,}") for la in architecture.head_layers]


def _shape(*sides: int) -> str:
    return f"({', '.join(map(str, ('n', *sides)))})"
