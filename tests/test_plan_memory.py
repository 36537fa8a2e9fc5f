"""The arena planner: values that live at the same time never share a byte, and memory is used again."""

from hypothesis import given, settings
from hypothesis import strategies as st

from fastconv.plan.memory import ALIGNMENT, Block, plan_offsets

BLOCKS = st.lists(
    st.tuples(st.integers(0, 5000), st.integers(0, 30), st.integers(0, 12)).map(
        lambda b: Block(b[0], b[1], b[1] + b[2])
    ),
    max_size=40,
)


def alive_together(a, b):
    return a.first <= b.last and b.first <= a.last


@settings(deadline=None, max_examples=200, derandomize=True)
@given(BLOCKS)
def test_blocks_alive_together_do_not_overlap(blocks):
    offsets, size = plan_offsets(blocks)
    spans = [(offset, offset + block.size) for offset, block in zip(offsets, blocks, strict=True)]
    assert all(offset % ALIGNMENT == 0 and 0 <= offset <= end <= size for offset, end in spans)
    for i, (start, end) in enumerate(spans):
        for j, (other_start, other_end) in enumerate(spans[:i]):
            if blocks[i].size and blocks[j].size and alive_together(blocks[i], blocks[j]):
                assert end <= other_start or other_end <= start, (blocks[i], blocks[j])


@settings(deadline=None, max_examples=100, derandomize=True)
@given(BLOCKS)
def test_the_arena_is_no_larger_than_all_blocks_and_no_smaller_than_the_fullest_step(blocks):
    _, size = plan_offsets(blocks)
    rounded = [-(-b.size // ALIGNMENT) * ALIGNMENT for b in blocks]
    fullest = max((sum(b.size for b in blocks if b.first <= step <= b.last) for step in range(43)), default=0)
    assert fullest <= size <= sum(rounded)


def test_a_chain_needs_room_for_two_values():
    chain = [Block(1024, step, step + 1) for step in range(20)]
    offsets, size = plan_offsets(chain)
    assert size == 2 * 1024
    assert set(offsets) == {0, 1024}


def test_an_order_that_leaves_holes_is_tried_again():
    """Blocks of a perceptron's training step: a gradient of all weights, activations, workspaces. They fit without a gap."""
    kib = [(2616, 9, 13), (392, 0, 14), (256, 0, 12), (256, 2, 10), (256, 10, 12), (256, 12, 13)]
    workspaces = [(608, 0, 0), (392, 2, 2), (524, 11, 11), (392, 12, 12), (668, 13, 13)]
    blocks = [Block(size * 1024, first, last) for size, first, last in kib + workspaces]
    _, size = plan_offsets(blocks)
    assert size <= 1.02 * 1024 * (2616 + 392 + 3 * 256 + 392)  # step 12


def test_nothing_to_place():
    assert plan_offsets([]) == ([], 0)
