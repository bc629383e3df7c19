"""Covariances as channels: as the linear algebra of matrices has it."""

import pytest
import torch

from normscan.models.parts.covariances import cholesky, diagonal, outer, size_of, whitened


@pytest.mark.parametrize("contrasts", [1, 2, 4])
def test_factors_and_whitened_vectors_are_those_of_linear_algebra(contrasts):
    generator = torch.Generator().manual_seed(contrasts)
    root = torch.randn(5, contrasts, contrasts, 3, generator=generator).double()
    matrices = torch.einsum("nijx,nkjx->nxik", root, root) + 0.1 * torch.eye(contrasts)
    rows, columns = torch.tril_indices(contrasts, contrasts)
    packed = matrices[..., rows, columns].movedim(-1, 1)
    assert packed.shape[1] == size_of(contrasts)
    expected = torch.linalg.cholesky(matrices)
    factors = cholesky(packed, contrasts)
    torch.testing.assert_close(factors, expected[..., rows, columns].movedim(-1, 1))
    vectors = torch.randn(5, contrasts, 3, generator=generator).double()
    columns_of = vectors.movedim(1, -1)[..., None]
    solved = torch.linalg.solve_triangular(expected, columns_of, upper=False)
    torch.testing.assert_close(whitened(vectors, factors), solved[..., 0].movedim(-1, 1))
    variances = matrices.diagonal(dim1=-2, dim2=-1).movedim(-1, 1)
    torch.testing.assert_close(packed[:, diagonal(contrasts)], variances)
    products = (columns_of * columns_of.transpose(-1, -2))[..., rows, columns[: len(rows)]]
    torch.testing.assert_close(outer(vectors), products.movedim(-1, 1))
