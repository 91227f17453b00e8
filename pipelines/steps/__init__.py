"""What runs in the pipeline's jobs: standard library, numpy, scikit-learn, boto3 and the pure parts of driftloop.

XGBoost is imported in its own image only.
"""
