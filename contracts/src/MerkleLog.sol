// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.30;

/// @notice Inclusion in the Merkle tree of a growing log (RFC 6962 with SHA-256). Places are bound: a proof holds for
/// one place and one size. A sorted-pair tree (OpenZeppelin's MerkleProof) would prove only that a leaf is somewhere.
library MerkleLog {
    /// @notice RFC 9162, section 2.1.3.2. The proof is neither shorter nor longer than the path.
    function includes(bytes32 root, uint256 size, uint256 index, bytes32 leafHash, bytes32[] calldata proof)
        internal
        pure
        returns (bool)
    {
        if (index >= size) return false;
        uint256 place = index;
        uint256 last = size - 1;
        bytes32 hash = leafHash;
        for (uint256 i; i < proof.length; ++i) {
            if (last == 0) return false;
            if (place & 1 == 1 || place == last) {
                hash = _node(proof[i], hash);
                while (place & 1 == 0 && place != 0) {
                    place >>= 1;
                    last >>= 1;
                }
            } else {
                hash = _node(hash, proof[i]);
            }
            place >>= 1;
            last >>= 1;
        }
        return last == 0 && hash == root;
    }

    function _node(bytes32 left, bytes32 right) private pure returns (bytes32) {
        return sha256(abi.encodePacked(bytes1(0x01), left, right));
    }
}
