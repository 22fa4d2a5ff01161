"""The loops: pretrain, distil, RL; one shared loop under them."""
