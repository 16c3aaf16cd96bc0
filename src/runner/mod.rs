//! `playgate runner`: the half of the contract that lives with the game. Owns picture, sound, input, encoder,
//! packetizer and the save directory; knows nothing of the gateway but the contract.
