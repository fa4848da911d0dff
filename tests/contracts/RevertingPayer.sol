// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// Succeeds while the call inside of it, which has paid, is undone.
contract RevertingPayer {
    function pay(address to) external payable {
        try this.payAndFail(to, msg.value) {
            revert("it must fail");
        } catch {}
    }

    function payAndFail(address to, uint256 amount) external {
        (bool done, ) = to.call{value: amount}("");
        require(done, "the payment failed");
        revert("undone");
    }
}
