"""The note that lies in each bundle."""

from __future__ import annotations

README = """\
Clips to label
==============

The annotation tool, once (Python 3.10 to 3.12). The lab gives you the toolkit, as a folder or as a .whl file; take its
place for TOOLKIT:

    pip install "TOOLKIT[annotate]"

Open this folder with it:

    emer annotate open FOLDER

Your labels are saved after every step, in the folder "labels" in here.
If this folder cannot be written to:

    emer annotate open FOLDER --labels my-labels.sqlite

When you are done, close the tool and send the folder "labels" back. Send it as often as you like: nothing is
counted twice.
Is the folder complete?   emer annotate bundle --check FOLDER

The videos show people who agreed to be seen by the annotators of this study. Pass them to nobody, and delete
this folder when the lab has told you that your labels have arrived.


需要标注的片段
==============

先安装标注工具（只需一次，需要 Python 3.10 至 3.12）。实验室会给您工具包（一个文件夹或 .whl 文件），请把 TOOLKIT 换成它的路径：

    pip install "TOOLKIT[annotate]"

用它打开本文件夹：

    emer annotate open 文件夹

每一步操作后，标注都会立即保存在本文件夹内的 "labels" 文件夹中。
如果本文件夹不可写：

    emer annotate open 文件夹 --labels my-labels.sqlite

完成后，请关闭工具，并把 "labels" 文件夹寄回。可以多次寄回，不会重复计数。
检查本文件夹是否完整：   emer annotate bundle --check 文件夹

视频中的人同意由本研究的标注者观看。请勿转交他人；实验室确认收到标注后，请删除本文件夹。
"""
