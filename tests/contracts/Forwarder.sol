// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// Passes on what was sent to its address before it was there.
contract Forwarder {
    constructor(address to) {
        (bool done, ) = to.call{value: address(this).balance}("");
        require(done, "the payment failed");
    }
}

/// Puts forwarders at addresses that are known before.
contract ForwarderFactory {
    function make(bytes32 salt, address to) external {
        new Forwarder{salt: salt}(to);
    }

    function place(bytes32 salt, address to) external view returns (address) {
        bytes32 code = keccak256(abi.encodePacked(type(Forwarder).creationCode, abi.encode(to)));
        return address(uint160(uint256(keccak256(abi.encodePacked(hex"ff", address(this), salt, code)))));
    }
}
