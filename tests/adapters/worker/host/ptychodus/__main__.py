import argparse
import sys
from pathlib import Path

from ptychodus.model import ModelCore

parser = argparse.ArgumentParser(prog='ptychodus')
parser.add_argument('-b', '--batch', choices=('reconstruct', 'train'))
parser.add_argument('-i', '--input-directory', type=Path)
parser.add_argument('-o', '--output-directory', type=Path)
parser.add_argument('-s', '--settings', type=Path)
parser.add_argument('--log-level', type=int, default=20)
given = parser.parse_args()
with ModelCore(given.settings, log_level=given.log_level) as model:
    code = model.batch_mode_execute(given.batch, given.input_directory, given.output_directory) if given.batch else 0
sys.exit(code)
