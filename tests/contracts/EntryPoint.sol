// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// An account that is a contract, as ERC-4337 has them (https://eips.ethereum.org/EIPS/eip-4337).
contract SmartAccount {
    address private immutable entryPoint;
    uint256 private immutable least;

    /// `leftover` is what must stay in it.
    constructor(address entry, uint256 leftover) payable {
        entryPoint = entry;
        least = leftover;
    }

    function execute(address to, uint256 value) external {
        require(msg.sender == entryPoint, "only by the entry point");
        (bool done, ) = to.call{value: value}("");
        require(done, "the payment failed");
        // Found out only after it has paid.
        require(address(this).balance >= least, "too little is left");
    }
}

/// Executes the operations of many accounts in one transaction; one that fails does not stop the others.
contract EntryPoint {
    event UserOperationEvent(address indexed account, bool success);

    function handleOps(
        address[] calldata accounts,
        address[] calldata to,
        uint256[] calldata values
    ) external {
        for (uint256 number = 0; number < accounts.length; number++) {
            bool success;
            try SmartAccount(accounts[number]).execute(to[number], values[number]) {
                success = true;
            } catch {}
            emit UserOperationEvent(accounts[number], success);
        }
    }
}
