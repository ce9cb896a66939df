"""The graph: operations, tensors, names, metrics, its file format and its rules."""

from .graph import Array as Array
from .graph import DType as DType
from .graph import Graph as Graph
from .graph import Level as Level
from .graph import QParams as QParams
from .graph import Role as Role
from .graph import Shape as Shape
from .graph import Tensor as Tensor
from .graph import Update as Update
from .ops import *  # noqa: F403 - one name for users: ir.Conv2D, ir.Graph
from .palette import Palette as Palette
