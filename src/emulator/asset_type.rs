//! The types of assets, and the containers that URLs and lists name them by.

use serde::{Deserialize, Serialize};

macro_rules! asset_types {
    ($( $variant:ident $name:literal $container:literal, )+) => {
        /// The type of an asset.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub(super) enum AssetType { $( $variant, )+ }

        impl AssetType {
            /// All types, in the order in which lists go through them.
            pub(super) const ALL: &[Self] = &[$( Self::$variant, )+];

            /// The type as filters and details write it.
            pub(super) fn name(self) -> &'static str {
                match self { $( Self::$variant => $name, )+ }
            }

            /// The type as URLs and lists write it.
            pub(super) fn container(self) -> &'static str {
                match self { $( Self::$variant => $container, )+ }
            }
        }
    };
}

asset_types! {
    ActionMap "action_map" "action_maps",
    Animation "animation" "animations",
    AnimationGraph "animation_graph" "animation_graphs",
    AnimationSequence "animation_sequence" "animation_sequences",
    AnimationSet "animation_set" "animation_sets",
    CollisionGeometry "collision_geometry" "collision_geometries",
    Cubemap "cubemap" "cubemaps",
    EventMap "event_map" "event_maps",
    Material "material" "materials",
    Mesh "mesh" "meshes",
    Module "module" "modules",
    PointCloud "point_cloud" "point_clouds",
    RenderGraph "render_graph" "render_graphs",
    Scene "scene" "scenes",
    Script "script" "scripts",
    Shader "shader" "shaders",
    Skeleton "skeleton" "skeletons",
    Sound "sound" "sounds",
    Texture "texture" "textures",
    Texture1d "texture_1d" "textures_1d",
    Texture3d "texture_3d" "textures_3d",
    VolumeMaterial "volume_material" "volume_materials",
}

impl AssetType {
    /// The type of this name.
    pub(super) fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// The type of this container.
    pub(super) fn in_container(container: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.container() == container)
    }
}
