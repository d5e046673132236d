"""What the verbs of ``emer record`` and ``emer doctor`` do; heavy imports happen when one is called."""
