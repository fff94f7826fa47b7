"""The page for people who know DeepLabCut has every function they know."""

import re
from collections import Counter

from tests.docs.pages import DOCS, rows

# Nath et al. 2019, and the functions of DeepLabCut 3.0.2's `__all__`; DeepLabCut-Live's besides.
FUNCTIONS = """
create_new_project create_new_project_3d create_pretrained_project create_pretrained_human_project
add_new_videos load_demo_data extract_frames label_frames check_labels SkeletonBuilder launch_dlc
comparevideolistsanddatafolders adddatasetstovideolistandviceversa dropunlabeledframes
dropannotationfileentriesduetodeletedimages dropduplicatesinannotatinfiles dropimagesduetolackofannotation
convertcsv2h5 convert2_maDLC
create_training_dataset create_training_dataset_from_existing_split create_training_model_comparison
create_multianimaltraining_dataset mergeandsplit
train_network return_train_network_path evaluate_network return_evaluate_network_data
extract_maps extract_save_all_maps visualize_scoremaps visualize_locrefs visualize_paf
analyze_videos analyze_images analyze_time_lapse_frames analyze_videos_converth5_to_csv
analyze_videos_converth5_to_nwb filterpredictions plot_trajectories analyzeskeleton
create_labeled_video create_video_with_all_detections
extract_outlier_frames find_outliers_in_raw_data refine_labels merge_datasets
convert_detections2tracklets stitch_tracklets refine_tracklets create_tracking_dataset transformer_reID
calibrate_cameras check_undistortion triangulate create_labeled_video_3d
export_model video_inference_superanimal
ShortenVideo CropVideo DownSampleVideo check_video_integrity
DLCLive dlclive.Processor dlclive.benchmark_videos
"""


def test_every_function_has_one_row_that_names_a_command_or_says_none():
    table = [cells for cells in rows((DOCS / "coming_from_deeplabcut.md").read_text()) if len(cells) == 3]
    named = Counter(name for cells in table for name in re.findall(r"`([\w.]+)`", cells[0]))
    assert named == Counter(FUNCTIONS.split())
    for first, second, third in table:
        assert second.startswith("`rigpose ") or second in ("none", "none needed"), first
        assert second != "none" or third, f"{first}: none, and no word why"
