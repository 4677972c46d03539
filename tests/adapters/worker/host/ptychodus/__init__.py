"""A stand-in of Ptychodus for tests: as much of it as a reconstructor library meets, with the same names, rules and faults.

Written from what the host does, not from its text: abstract classes, a chooser that ignores names it does not know, settings with
clamped numbers, a thread for reconstructions whose end is waited for, outputs that only a window puts into the product.
"""
VERSION_STRING = 'stand-in'
