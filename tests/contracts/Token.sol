// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// A token as they should be, with six decimals. Everybody has as much of it as they want.
contract Token {
    string public constant symbol = "USDC";
    uint8 public constant decimals = 6;
    mapping(address => uint256) public balanceOf;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    /// Many transfers in one transaction, as exchanges do.
    function mintAll(address[] calldata to, uint256 value) external {
        for (uint256 number = 0; number < to.length; number++) {
            balanceOf[to[number]] += value;
            emit Transfer(address(0), to[number], value);
        }
    }

    function transfer(address to, uint256 value) external returns (bool) {
        balanceOf[msg.sender] -= value;
        balanceOf[to] += value;
        emit Transfer(msg.sender, to, value);
        return true;
    }
}
