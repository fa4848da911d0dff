// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// A wallet of several owners, as Safe has them (https://docs.safe.global): once enough of them agree, anybody
/// lets it pay, by a call. What stands on the chain for each wallet is a proxy of this code.
contract SharedWallet {
    uint256 public threshold;
    uint256 public nonce;
    mapping(address => bool) public isOwner;
    mapping(bytes32 => mapping(address => bool)) private agreed;
    mapping(bytes32 => uint256) private agreements;

    event ExecutionSuccess(bytes32 payment);

    receive() external payable {}

    function setup(address[] calldata owners, uint256 needed) external {
        require(threshold == 0 && needed > 0, "it has its owners");
        for (uint256 number = 0; number < owners.length; number++) {
            isOwner[owners[number]] = true;
        }
        threshold = needed;
    }

    function agree(address to, uint256 value) external {
        bytes32 payment = next(to, value);
        require(isOwner[msg.sender] && !agreed[payment][msg.sender], "no owner, or once more");
        agreed[payment][msg.sender] = true;
        agreements[payment]++;
    }

    function execTransaction(address to, uint256 value) external returns (bool done) {
        bytes32 payment = next(to, value);
        require(threshold > 0 && agreements[payment] >= threshold, "too few agree");
        nonce++;
        (done, ) = to.call{value: value}("");
        require(done, "the payment failed");
        emit ExecutionSuccess(payment);
    }

    function next(address to, uint256 value) private view returns (bytes32) {
        return keccak256(abi.encode(address(this), nonce, to, value));
    }
}

/// A wallet of its own state with the code of another one.
contract SharedWalletProxy {
    address private immutable code;

    constructor(address wallet) payable {
        code = wallet;
    }

    receive() external payable {}

    fallback() external payable {
        address target = code;
        assembly {
            calldatacopy(0, 0, calldatasize())
            let done := delegatecall(gas(), target, 0, calldatasize(), 0, 0)
            returndatacopy(0, 0, returndatasize())
            if iszero(done) { revert(0, returndatasize()) }
            return(0, returndatasize())
        }
    }
}
