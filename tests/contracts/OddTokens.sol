// SPDX-License-Identifier: MIT OR Apache-2.0
pragma solidity ^0.8.0;

/// Returns nothing.
contract NoReturnToken {
    uint8 public constant decimals = 6;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function transfer(address to, uint256 value) external {
        emit Transfer(msg.sender, to, value);
    }
}

/// Says no instead of failing: the transaction succeeds, and nothing has moved.
contract FalseToken {
    uint8 public constant decimals = 6;

    function transfer(address, uint256) external pure returns (bool) {
        return false;
    }
}

/// Keeps one hundredth of every transfer.
contract FeeToken {
    uint8 public constant decimals = 6;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function transfer(address to, uint256 value) external returns (bool) {
        uint256 fee = value / 100;
        emit Transfer(msg.sender, to, value - fee);
        emit Transfer(msg.sender, address(this), fee);
        return true;
    }
}

/// Calls itself like a real token and says what it likes.
contract FakeTransfer {
    string public constant symbol = "USDC";
    uint8 public constant decimals = 6;

    event Transfer(address indexed from, address indexed to, uint256 value);

    function say(address from, address to, uint256 value) external {
        emit Transfer(from, to, value);
    }

    /// Three topics and any data.
    function sayRaw(bytes32 from, bytes32 to, bytes calldata data) external {
        bytes32 kind = Transfer.selector;
        bytes memory copy = data;
        assembly {
            log3(add(copy, 32), mload(copy), kind, from, to)
        }
    }
}

/// The third indexed argument is a number of a thing (ERC-721).
contract Nft {
    event Transfer(address indexed from, address indexed to, uint256 indexed id);

    function transfer(address to, uint256 id) external {
        emit Transfer(msg.sender, to, id);
    }
}

/// Nothing is indexed.
contract OneTopic {
    uint8 public constant decimals = 6;

    event Transfer(address from, address to, uint256 value);

    function transfer(address to, uint256 value) external {
        emit Transfer(msg.sender, to, value);
    }
}
