// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// Pays many accounts in one transaction, as exchanges do.
contract BatchPayer {
    function pay(address[] calldata to, uint256[] calldata amounts) external payable {
        for (uint256 number = 0; number < to.length; number++) {
            (bool done, ) = to[number].call{value: amounts[number]}("");
            require(done, "a payment failed");
        }
    }
}
