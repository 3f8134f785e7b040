"""Structure from motion: photos in, cameras, points and undistorted photos out."""
