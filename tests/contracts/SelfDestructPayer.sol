// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// Pays by its own end, which calls nobody.
contract SelfDestructPayer {
    constructor() payable {}

    function end(address payable to) external {
        selfdestruct(to);
    }
}
