//! What models of other people's tools hold that no specification prepares for, each written down in a few lines of our own.

use super::*;

#[test]
fn the_prim_behind_an_asset_in_usd_is_no_path() {
    let text = "#usda 1.0\ndef \"a\" (\n variantSets = \"set\"\n) {\n asset[] cards = [@1.png@, \"2.png\"]\n asset card = @c.png@\n\
                \n def Xform \"Geom\" { asset over.timeSamples = { 1: \"t.png\", 2: None, -3: \"u.png\" }\n variantSet \"set\" = \
                { \"Red\" { } } }\n asset last = @d.png@\n over \"Cube\" { }\n}";
    assert_eq!(
        told(Format::Usd, text.as_bytes()),
        ["1.png", "2.png", "c.png", "t.png", "u.png", "d.png"].map(|name| format!("{name} [usd:asset]"))
    );
}

#[test]
fn collada_refers_to_other_documents_from_every_uri() {
    let text = r##"<COLLADA><instance_material symbol="s" target="mat.dae#m"/><instance_material target="#m"/>
        <controller><skin source="mesh.dae#g"/></controller><skeleton>rig.dae#bone</skeleton><skeleton>bone</skeleton>
        <input source="#p"/><channel source="#s" target="node/translate.X"/><instance_light url="#l"/>
        <extra><technique profile="NV_import"><import url="./fx/glow.cgfx" profile="cg"/></technique></extra></COLLADA>"##;
    assert_eq!(
        told(Format::Collada, text.as_bytes()),
        ["mat.dae", "mesh.dae", "rig.dae", "./fx/glow.cgfx"].map(|name| format!("{name} [dae:instance]"))
    );
}

#[test]
fn vrml_1_leaves_quotes_out() {
    let text = "#VRML V1.0 ascii\nSeparator { Texture2 {\n filename ../tex/wood.jpg\n wrapS REPEAT }\n\
                Texture2 { filename } WWWInline { name room.wrl bboxSize 1 1 1 } Cube { } }";
    assert_eq!(
        told(Format::Vrml, text.as_bytes()),
        ["../tex/wood.jpg [wrl:Texture2]", "room.wrl [wrl:WWWInline]"]
    );
}

#[test]
fn a_prototype_names_files_by_default_and_for_its_instances() {
    let vrml = "#X3D V3.2 utf8\nPROTO P [ inputOutput MFString url \"a.x3dv\" field SFString label \"no.png\" ]\n\
                { Inline { url IS url } }\nP { url \"b.x3dv\" } Q { skinUrl [ \"c.png\" \"d.png\" ] }\n\
                Script { inputOutput MFString url [ \"no.wrl\" ] url \"castlescript: function f() x := 'no.png'\" }";
    assert_eq!(
        told(Format::Vrml, vrml.as_bytes()),
        ["a.x3dv [x3d:Proto]", "b.x3dv [x3d:url]", "c.png [x3d:url] | d.png"]
    );
    let xml = r##"<X3D><ProtoDeclare name="P"><ProtoInterface><field name="url" type="MFString" value='"a.png"'/>
        <field name="title" value="no.png"/></ProtoInterface></ProtoDeclare><ProtoInstance name="P">
        <fieldValue name="url" value='"b.png" "c.png"'/></ProtoInstance>
        <Script><field name="url" value='"no.png"'/></Script>
        <ImageTexture url="'e.png' 'f.png'"/>
        <BinaryGeometry index="bin/i.bin" coord="bin/c.bin" solid="true"/><IndexedFaceSet index="0 1 2"/></X3D>"##;
    assert_eq!(
        told(Format::X3d, xml.as_bytes()),
        [
            "a.png [x3d:Proto]",
            "b.png [x3d:Proto] | c.png",
            "e.png [x3d:ImageTexture] | f.png",
            "bin/i.bin [x3d:Geometry]",
            "bin/c.bin [x3d:Geometry]",
        ]
    );
}

#[test]
fn the_name_behind_unknown_options_of_a_material_is_tried() {
    assert_eq!(
        told(Format::Mtl, b"map_Ks -new a b  tex/s.png"),
        ["-new a b  tex/s.png [map_Ks] | a b  tex/s.png | b  tex/s.png | tex/s.png"]
    );
}

#[test]
fn meshlab_names_a_texture_by_the_stem_of_the_mesh() {
    let text = b"ply\ncomment TextureFile <this>_A.png\nend_header\n";
    assert_eq!(told(Format::Ply, text), ["_A.png [ply:TextureFile] Beside"]);
}

#[test]
fn ifc_keeps_types_and_styles_in_other_files() {
    let text = "ISO-10303-21;\n#1=IFCLIBRARYINFORMATION('Types',$,$,$,'types.ifc',$);\n\
                #2=IFCEXTERNALLYDEFINEDSURFACESTYLE('../looks.blend','materials/Oak','Oak');\n\
                #3=IFCLIBRARYREFERENCE('https://x.org/a.ifc','1','n');\n";
    assert_eq!(
        told(Format::Ifc, text.as_bytes()),
        ["types.ifc [ifc:library]", "../looks.blend [ifc:library]"]
    );
}
